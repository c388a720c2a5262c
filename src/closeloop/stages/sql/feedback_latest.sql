-- The latest revision of each piece of feedback, with what text and vector say of it.
-- For every reader. Text that was not masked is never shown: its place is empty.
SELECT
    f.feedback_id,
    f.revision,
    f.source,
    f.product,
    f.version,
    f.event_time,
    f.known_at,
    CASE WHEN f.masker IS NOT NULL THEN f.text END AS text,
    f.language,
    f.rating,
    f.author_key,
    f.duplicate_of,
    f.campaign_id,
    f.trust,
    f.platform,
    f.channel,
    f.order_ref,
    f.order_value,
    f.sku,
    f.region,
    f.fulfilment_centre,
    f.customer_tier,
    f.backfill,
    e.sentiment,
    e.urgency,
    e.urgency_reasons,
    e.category,
    e.category_confidence,
    e.content_free,
    a.theme_id
FROM (
    SELECT *, row_number() OVER (PARTITION BY feedback_id ORDER BY revision DESC) AS place
    FROM silver.feedback
) AS f
LEFT JOIN silver.enrichment AS e
    ON e.feedback_id = f.feedback_id AND e.revision = f.revision
LEFT JOIN silver.assignment AS a
    ON a.feedback_id = f.feedback_id AND a.revision = f.revision
WHERE f.place = 1
