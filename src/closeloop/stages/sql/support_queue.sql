-- The live queue of urgent complaints, newest first: what the customer wrote (masked) beside why
-- it is urgent, and beside the signal, brief and ticket that already cover it. For support.
-- Live means the 14 days that end with the newest feedback known, urgent means at least .5.
WITH covering AS (
    SELECT
        signal_id,
        product,
        category,
        severity,
        window_start,
        row_number() OVER (
            PARTITION BY product, category ORDER BY detected_at DESC, signal_id
        ) AS place
    FROM gold.signal
    WHERE category IS NOT NULL AND NOT coalesce(historic, false)
),
newest_brief AS (
    SELECT
        signal_id,
        title,
        row_number() OVER (PARTITION BY signal_id ORDER BY made_at DESC, brief_id) AS place
    FROM gold.brief
),
newest_ticket AS (
    SELECT
        signal_id,
        ticket_id,
        status,
        row_number() OVER (PARTITION BY signal_id ORDER BY opened_at DESC, ticket_id) AS place
    FROM gold.ticket
)
SELECT
    f.category,
    coalesce(f.customer_tier, 'unknown') AS customer_tier,
    f.event_time,
    f.product,
    f.text,
    f.urgency,
    f.urgency_reasons,
    f.rating,
    f.language,
    f.order_ref,
    f.channel,
    f.feedback_id,
    c.signal_id,
    c.severity,
    b.title AS summary,
    t.ticket_id,
    t.status AS ticket_status
FROM gold.feedback_latest AS f
LEFT JOIN covering AS c
    ON c.product = f.product
    AND c.category = f.category
    AND f.event_time >= c.window_start
    AND c.place = 1
LEFT JOIN newest_brief AS b ON b.signal_id = c.signal_id AND b.place = 1
LEFT JOIN newest_ticket AS t ON t.signal_id = c.signal_id AND t.place = 1
WHERE f.urgency >= 0.5
    AND f.duplicate_of IS NULL
    AND NOT coalesce(f.content_free, false)
    AND f.event_time >= (SELECT max(known_at) - INTERVAL '14' DAY FROM silver.feedback)
ORDER BY f.event_time DESC, f.feedback_id
