"""What can be taken in from a column, and the names such columns usually have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FieldKind = Literal["text", "time", "number", "id", "label"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field with the column names that usually hold it, the likeliest first.

    `kind` says how a column's values are looked at before its name is believed: a text has words,
    a time and a number can be read, an id has no words, a label is taken as it is.
    """

    name: str
    kind: FieldKind
    names: tuple[str, ...]
    needed: bool = False
    private: bool = False
    """Shown shortened: it names a person or an order."""


def _f(
    name: str, kind: FieldKind, names: str, *, needed: bool = False, private: bool = False
) -> Field:
    return Field(name, kind, tuple(names.split()), needed=needed, private=private)


FEEDBACK_FIELDS = (
    _f(
        "text",
        "text",
        "text review_text content review body review_body comment review_comment comments message "
        "feedback description answer response verbatim free_text snippet caption note subject",
        needed=True,
    ),
    _f(
        "event_time",
        "time",
        "event_time at created_at date timestamp submitted_at submitted review_date created "
        "creation_date posted_at published_at published date_posted review_time datetime time "
        "created_time received_at occurred_at review_created_at",
        needed=True,
    ),
    _f(
        "source_id",
        "id",
        "source_id review_id feedback_id ticket_id comment_id response_id message_id case_id "
        "external_id uuid guid id key",
    ),
    _f("rating", "number", "rating score stars star_rating review_rating note_rating nps csat"),
    _f(
        "author",
        "label",
        "author author_id author_name user_id user_name username user reviewer reviewer_name "
        "reviewer_id customer_id customer_name customer requester requester_id email user_email",
        private=True,
    ),
    _f(
        "updated_at",
        "time",
        "updated_at modified_at last_modified edited_at updated modified last_updated last_update",
    ),
    _f("locale", "label", "locale language lang reviewer_language review_language language_code"),
    _f(
        "product",
        "label",
        "product product_id product_name app app_id app_name package package_name bundle_id",
    ),
    _f(
        "version",
        "label",
        "version app_version app_version_name review_created_version app_version_code "
        "product_version build",
    ),
    _f("platform", "label", "platform os operating_system store"),
    _f("device", "label", "device device_model device_name model phone_model"),
    _f("channel", "label", "channel source_channel medium via"),
    _f("order_ref", "label", "order_ref order_id order_number order_no order", private=True),
    _f("order_value", "number", "order_value order_total basket_value order_amount amount"),
    _f("sku", "label", "sku article article_number item_id asin"),
    _f("region", "label", "region country country_code market storefront territory"),
    _f(
        "fulfilment_centre",
        "label",
        "fulfilment_centre fulfillment_center fulfilment_center warehouse fc depot",
    ),
    _f("customer_tier", "label", "customer_tier tier plan segment membership subscription"),
    _f("flag_states", "label", "flag_states flags feature_flags experiments"),
)

CHANGE_FIELDS = (
    _f("change_id", "id", "change_id release_id incident_id flag_id"),
    _f("kind", "label", "kind type change_type"),
    _f("product", "label", "product product_id product_name app app_id app_name package service"),
    _f("name", "label", "name title summary release_name flag flag_key incident key"),
    _f("version", "label", "version app_version version_name tag release product_version"),
    _f(
        "started_at",
        "time",
        "started_at released_at release_date start_time start started first_seen deployed_at "
        "published_at enabled_at opened_at at date timestamp time created_at",
        needed=True,
    ),
    _f("ended_at", "time", "ended_at end_time end ended resolved_at closed_at disabled_at"),
    _f("platform", "label", "platform os store"),
    _f("region", "label", "region country market storefront"),
    _f("rollout", "label", "rollout rollout_share rollout_stages percentage"),
    _f("notes", "label", "notes release_notes changelog whats_new"),
    _f("commits", "label", "commits commit_messages commit_subjects"),
)

EXPOSURE_FIELDS = (
    _f("product", "label", "product product_id product_name app app_id app_name package service"),
    _f("version", "label", "version app_version version_name"),
    _f("platform", "label", "platform os store"),
    _f("region", "label", "region country market storefront"),
    _f("start", "time", "start hour day date timestamp at time period_start", needed=True),
    _f("period", "label", "period granularity"),
    _f("users", "number", "users active_users dau daily_active_users sessions"),
    _f("orders", "number", "orders order_count purchases"),
    _f("installs", "number", "installs install_count active_installs downloads"),
)
