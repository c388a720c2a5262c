-- How fast the loop is, by severity and month of opening: median hours from the first complaint to
-- the signal, to the ticket, to the resolution, how many tickets, how many are open. For leadership.
-- Hours are those between the days, plus those of the clock: engines read an interval's hours in
-- two ways (all of it, or what is beyond whole days), but agree on whole days. Exact to the minute.
WITH hours AS (
    SELECT
        ticket_id,
        signal_id,
        severity,
        status,
        date_trunc('month', opened_at) AS month,
        extract(DAY FROM (date_trunc('day', detected_at) - date_trunc('day', first_complaint_at))) * 24.0
            + extract(HOUR FROM detected_at) - extract(HOUR FROM first_complaint_at)
            + (extract(MINUTE FROM detected_at) - extract(MINUTE FROM first_complaint_at)) / 60.0
            AS hours_to_signal,
        extract(DAY FROM (date_trunc('day', opened_at) - date_trunc('day', detected_at))) * 24.0
            + extract(HOUR FROM opened_at) - extract(HOUR FROM detected_at)
            + (extract(MINUTE FROM opened_at) - extract(MINUTE FROM detected_at)) / 60.0
            AS hours_to_ticket,
        extract(DAY FROM (date_trunc('day', resolved_at) - date_trunc('day', opened_at))) * 24.0
            + extract(HOUR FROM resolved_at) - extract(HOUR FROM opened_at)
            + (extract(MINUTE FROM resolved_at) - extract(MINUTE FROM opened_at)) / 60.0
            AS hours_to_resolution,
        extract(DAY FROM (date_trunc('day', resolved_at) - date_trunc('day', first_complaint_at))) * 24.0
            + extract(HOUR FROM resolved_at) - extract(HOUR FROM first_complaint_at)
            + (extract(MINUTE FROM resolved_at) - extract(MINUTE FROM first_complaint_at)) / 60.0
            AS hours_whole
    FROM gold.ticket
)
SELECT
    h.month,
    h.severity,
    count(*) AS tickets,
    count(*) FILTER (WHERE h.status IN ('open', 'in_progress', 'reopened')) AS open_tickets,
    count(*) FILTER (WHERE h.status IN ('resolved', 'verified')) AS closed_tickets,
    count(*) FILTER (WHERE h.status = 'verified') AS verified_tickets,
    sum(s.count) AS complaints,
    CAST(median(h.hours_to_signal) AS DOUBLE) AS median_hours_to_signal,
    CAST(median(h.hours_to_ticket) AS DOUBLE) AS median_hours_to_ticket,
    CAST(median(h.hours_to_resolution) AS DOUBLE) AS median_hours_to_resolution,
    CAST(median(h.hours_whole) AS DOUBLE) AS median_hours_complaint_to_resolution
FROM hours AS h
LEFT JOIN gold.signal AS s ON s.signal_id = h.signal_id
GROUP BY h.month, h.severity
ORDER BY h.month DESC, h.severity
