"""One typed tree from a workspace's files; secrets only by reference; errors name file and line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from closeloop.domain.configuration import Configuration, PiiRule
from closeloop.domain.feedback import SourceProfile
from closeloop.domain.policy import Policy, Rule, SeverityWeights
from closeloop.domain.product import OwnerRule, Owners, Product
from closeloop.domain.taxonomy import Category, Taxonomy
from closeloop.errors import SettingsError, redact
from closeloop.settings.faults import did_you_mean, line_of
from closeloop.settings.main_file import (
    EmbedderSettings,
    KafkaSettings,
    Settings,
    SourceSettings,
    WriterSettings,
)
from closeloop.settings.reading import default_text, parse_file
from closeloop.settings.rule_files import OwnersSettings, PolicySettings, TaxonomySettings
from closeloop.settings.values import duration, resolve

__all__ = [
    "FILES",
    "MAIN_FILE",
    "EmbedderSettings",
    "KafkaSettings",
    "LoadedSettings",
    "PolicySettings",
    "Settings",
    "SourceSettings",
    "WriterSettings",
    "default_text",
    "duration",
    "load",
    "load_policy",
    "parse_file",
    "resolve",
]

MAIN_FILE = "closeloop.yaml"
FILES = (MAIN_FILE, "taxonomy.yaml", "owners.yaml", "policy.yaml")


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings of a workspace and the configuration that stages are handed."""

    settings: Settings
    configuration: Configuration


def load(folder: Path) -> LoadedSettings:
    """Return the settings of a workspace; a file that is absent counts as its default.

    Raises SettingsError with file, line, place, value and what to write instead.
    """
    main, _ = parse_file(folder, MAIN_FILE, Settings)
    taxonomy, taxonomy_version = parse_file(folder, "taxonomy.yaml", TaxonomySettings)
    owners, owners_version = parse_file(folder, "owners.yaml", OwnersSettings)
    policy, policy_version = parse_file(folder, "policy.yaml", PolicySettings)
    _check_names(policy, owners, taxonomy)
    return LoadedSettings(
        settings=main,
        configuration=Configuration(
            products=tuple(
                Product(p.id, p.name or p.id, p.aliases, p.platforms, p.components)
                for p in main.products
            ),
            sources=tuple(
                SourceProfile(
                    name=name,
                    timezone=s.timezone,
                    lag=s.lag,
                    backfill_after=s.backfill_after,
                    trust=s.trust,
                    channel=s.channel,
                    time_format=s.time_format,
                )
                for name, s in sorted(main.sources.items())
            ),
            taxonomy=Taxonomy(
                categories=tuple(Category(**c.model_dump()) for c in taxonomy.categories),
                version=taxonomy_version,
            ),
            owners=Owners(
                rules=tuple(OwnerRule(**r.model_dump()) for r in owners.rules),
                default_owner=owners.default_owner,
                version=owners_version,
            ),
            policy=_policy(policy, policy_version),
            pii_rules=tuple(PiiRule(**r.model_dump()) for r in main.pii.rules),
            default_product=main.default_product,
            max_payload_bytes=main.ingest.max_payload_bytes,
            max_future=main.ingest.max_future,
            retention=main.retention,
            theme_min_texts=main.themes.min_texts,
            embed_at_once=main.embedder.at_once,
            student_sample=main.embedder.sample,
            second_looks=main.embedder.second_looks,
            student_agreement=main.embedder.student_agreement,
            seed=main.seed,
        ),
    )


def load_policy(path: Path, *, configuration: Configuration) -> tuple[Policy, tuple[int, ...]]:
    """Return the policy in a file, and the line of each of its rules.

    Its names are checked against a workspace's taxonomy. Raises SettingsError with file, line,
    place, value and what to write instead.
    """
    if not path.is_file():
        raise SettingsError(f"{path}: no such file", hint="name a policy.yaml")
    policy, version = parse_file(path.parent, path.name, PolicySettings)
    known = [c.name for c in configuration.taxonomy.categories]
    tree = yaml.compose(path.read_text(encoding="utf-8"))
    unknown = []
    for number, rule in enumerate(policy.rules):
        line = line_of(tree, ("rules", number, "categories"))
        where = f"{path}:{line}: rules.{number}"
        unknown += [_unknown(where, c, known) for c in rule.categories if c not in known]
    if unknown:
        raise SettingsError("\n".join(str(error) for error in unknown))
    lines = tuple(line_of(tree, ("rules", n)) or 1 for n in range(len(policy.rules)))
    return _policy(policy, version), lines


def _policy(policy: PolicySettings, version: str) -> Policy:
    return Policy(
        rules=tuple(Rule(**r.model_dump()) for r in policy.rules),
        version=version,
        false_alarms_per_month=policy.false_alarms_per_month,
        fdr=policy.fdr,
        labels_for_autonomy=policy.labels_for_autonomy,
        precision_for_autonomy=policy.precision_for_autonomy,
        min_trust=policy.min_trust,
        snooze=policy.snooze,
        weights=SeverityWeights(
            **policy.weights.model_dump() | {"tiers": tuple(sorted(policy.weights.tiers.items()))}
        ),
        sla_hours=tuple(sorted(policy.sla_hours.items())),
    )


def _check_names(
    policy: PolicySettings, owners: OwnersSettings, taxonomy: TaxonomySettings
) -> None:
    known = [c.name for c in taxonomy.categories]
    if len(set(known)) != len(known):
        twice = sorted({n for n in known if known.count(n) > 1})
        raise SettingsError(f"taxonomy.yaml: the category {twice[0]!r} is there twice")
    named = [
        (f"policy.yaml: rules[{i}]", c) for i, r in enumerate(policy.rules) for c in r.categories
    ]
    named += [
        (f"owners.yaml: rules[{i}]", r.category) for i, r in enumerate(owners.rules) if r.category
    ]
    for where, category in named:
        if category not in known:
            raise _unknown(where, category, known)


def _unknown(where: str, category: str, known: list[str]) -> SettingsError:
    return SettingsError(
        f"{where}: no category {redact(category)!r} in taxonomy.yaml",
        hint=did_you_mean(category, known) or f"categories: {', '.join(known)}",
    )
