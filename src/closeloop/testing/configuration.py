"""A configuration for tests: one shop with two products, a small taxonomy, the default policy."""

from __future__ import annotations

from datetime import timedelta

from closeloop.domain.configuration import Configuration
from closeloop.domain.feedback import SourceProfile
from closeloop.domain.policy import Action, Policy, Rule
from closeloop.domain.product import OwnerRule, Owners, Product
from closeloop.domain.signal import Severity
from closeloop.domain.taxonomy import Category, Taxonomy


def example_taxonomy() -> Taxonomy:
    """Return six categories, four of them complaints."""
    return Taxonomy(
        categories=(
            Category(
                "payment failure",
                "a payment, transfer or UPI transaction fails or money is stuck",
                ("payment failed", "UPI is not working", "money debited but not received"),
                impact=0.9,
                words=("payment", "upi", "debited"),
            ),
            Category(
                "broken UI",
                "the screen is confusing, ugly or does not react after a redesign",
                ("new design is horrible", "buttons do not react", "the layout is confusing"),
                impact=0.4,
                words=("design", "ui", "button"),
            ),
            Category(
                "account access",
                "customers cannot log in or are blocked",
                ("cannot log in", "my account is blocked", "otp never arrives"),
                impact=0.8,
                words=("login", "otp", "blocked"),
            ),
            Category(
                "shipping delay",
                "a parcel arrives late or not at all",
                ("parcel is late", "my order never arrived", "delivery takes weeks"),
                impact=0.6,
                words=("parcel", "delivery", "late"),
            ),
            Category(
                "feature request",
                "something that customers would like to have",
                ("please add dark mode", "wish it had a widget"),
                complaint=False,
                impact=0.1,
            ),
            Category(
                "praise",
                "customers are happy",
                ("great app", "love it, works well"),
                complaint=False,
                impact=0.0,
            ),
        ),
        version="example-1",
    )


def example_policy() -> Policy:
    """Return the default policy's core: a ticket needs evidence, confidence, size and severity."""
    return Policy(
        rules=(
            Rule(
                "clear and severe",
                Action.TICKET,
                min_confidence=0.85,
                min_ratio_6h=1.2,
                severities=(Severity.P1, Severity.P2),
                kinds=("theme", "category"),
                require_fdr=True,
            ),
            Rule(
                "release gone wrong",
                Action.TICKET,
                severities=(Severity.P1, Severity.P2),
                kinds=("release",),
                min_reviews_a_side=15,
            ),
            Rule("severe but doubtful", Action.REVIEW, severities=(Severity.P1, Severity.P2)),
            Rule("the rest", Action.DIGEST),
        ),
        version="example-1",
    )


def example_configuration() -> Configuration:
    """Return a configuration as the settings would build it from files."""
    return Configuration(
        products=(
            Product(
                "shop-app", "Shop App", aliases=("com.example.shop",), components=("checkout",)
            ),
            Product("wallet", "Wallet", aliases=("com.example.wallet",)),
        ),
        sources=(
            SourceProfile("play", lag=timedelta(0)),
            SourceProfile("support", channel="ticket", trust=1.0),
        ),
        taxonomy=example_taxonomy(),
        owners=Owners(
            rules=(
                OwnerRule("payments-team", category="payment failure"),
                OwnerRule("app-team", category="broken UI"),
                OwnerRule("identity-team", category="account access"),
            ),
            default_owner="triage",
            version="example-1",
        ),
        policy=example_policy(),
        theme_min_texts=30,
    )
