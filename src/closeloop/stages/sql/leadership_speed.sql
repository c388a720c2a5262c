-- How fast the loop is, by severity and month of opening: median hours from the first complaint to
-- the signal, to the ticket, to the resolution, how many tickets, how many are open. For leadership.
-- Hours are counted from the days, hours and minutes of an interval: whole minutes.
WITH spans AS (
    SELECT
        ticket_id,
        signal_id,
        severity,
        status,
        date_trunc('month', opened_at) AS month,
        detected_at - first_complaint_at AS to_signal,
        opened_at - detected_at AS to_ticket,
        resolved_at - opened_at AS to_resolution,
        resolved_at - first_complaint_at AS whole
    FROM gold.ticket
),
hours AS (
    SELECT
        ticket_id,
        signal_id,
        severity,
        status,
        month,
        extract(DAY FROM to_signal) * 24.0 + extract(HOUR FROM to_signal)
            + extract(MINUTE FROM to_signal) / 60.0 AS hours_to_signal,
        extract(DAY FROM to_ticket) * 24.0 + extract(HOUR FROM to_ticket)
            + extract(MINUTE FROM to_ticket) / 60.0 AS hours_to_ticket,
        extract(DAY FROM to_resolution) * 24.0 + extract(HOUR FROM to_resolution)
            + extract(MINUTE FROM to_resolution) / 60.0 AS hours_to_resolution,
        extract(DAY FROM whole) * 24.0 + extract(HOUR FROM whole)
            + extract(MINUTE FROM whole) / 60.0 AS hours_whole
    FROM spans
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
