-- Defects linked to a release: the signal, the release blamed and how sure that is, a sample of
-- what customers wrote, and the owner. For engineers.
WITH blamed AS (
    SELECT
        signal_id,
        change_id,
        name,
        effect,
        effect_low,
        effect_high,
        posterior,
        row_number() OVER (PARTITION BY signal_id ORDER BY posterior DESC, name) AS place
    FROM gold.attribution
    WHERE kind = 'release' AND blamed
),
newest_brief AS (
    SELECT
        signal_id,
        title,
        sample_id,
        recommended_owner,
        row_number() OVER (PARTITION BY signal_id ORDER BY made_at DESC, brief_id) AS place
    FROM gold.brief
),
newest_ticket AS (
    SELECT
        signal_id,
        ticket_id,
        status,
        owner,
        row_number() OVER (PARTITION BY signal_id ORDER BY opened_at DESC, ticket_id) AS place
    FROM gold.ticket
)
SELECT
    s.product,
    coalesce(r.name, s.version) AS release,
    c.version,
    c.platform,
    c.started_at AS release_started_at,
    s.signal_id,
    s.kind,
    coalesce(s.category, s.kind) AS category,
    s.severity,
    s.count AS complaints,
    s.baseline AS complaints_expected,
    r.effect AS odds_ratio,
    r.effect_low AS odds_ratio_low,
    r.effect_high AS odds_ratio_high,
    r.posterior,
    b.title AS summary,
    f.text AS sample_text,
    b.sample_id AS sample_feedback_id,
    coalesce(t.owner, b.recommended_owner) AS owner,
    t.ticket_id,
    t.status AS ticket_status,
    s.historic,
    s.detected_at
FROM gold.signal AS s
LEFT JOIN blamed AS r ON r.signal_id = s.signal_id AND r.place = 1
LEFT JOIN silver.change AS c ON c.change_id = r.change_id
LEFT JOIN newest_brief AS b ON b.signal_id = s.signal_id AND b.place = 1
LEFT JOIN newest_ticket AS t ON t.signal_id = s.signal_id AND t.place = 1
LEFT JOIN gold.feedback_latest AS f ON f.feedback_id = b.sample_id
WHERE r.signal_id IS NOT NULL OR s.kind = 'release'
ORDER BY s.detected_at DESC, s.signal_id
