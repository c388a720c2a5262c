-- Signals by category and severity, with how many of them have an open ticket. For product managers.
-- A signal of the release watch that has no category stands under its kind.
SELECT
    s.product,
    coalesce(s.category, s.kind) AS category,
    count(*) FILTER (WHERE s.severity = 'P1') AS p1,
    count(*) FILTER (WHERE s.severity = 'P2') AS p2,
    count(*) FILTER (WHERE s.severity = 'P3') AS p3,
    count(*) FILTER (WHERE s.severity = 'P4') AS p4,
    count(*) AS signals,
    sum(s.count) AS complaints,
    count(*) FILTER (WHERE t.status IN ('open', 'in_progress', 'reopened')) AS open_tickets,
    max(s.detected_at) AS newest
FROM gold.signal AS s
LEFT JOIN (
    SELECT
        signal_id,
        status,
        row_number() OVER (PARTITION BY signal_id ORDER BY opened_at DESC, ticket_id) AS place
    FROM gold.ticket
) AS t ON t.signal_id = s.signal_id AND t.place = 1
WHERE NOT coalesce(s.historic, false)
GROUP BY s.product, coalesce(s.category, s.kind)
ORDER BY p1 DESC, p2 DESC, p3 DESC, p4 DESC, category, s.product
