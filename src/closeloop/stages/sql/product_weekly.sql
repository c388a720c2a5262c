-- Weekly complaints per product and category: share of the product's complaints, and change
-- against the week before. For product managers. Weeks begin on Monday, UTC.
-- A category without complaints in a week has a row with 0. `last_complaint_hour` shows how far
-- the newest week goes: it is not over yet.
WITH by_category AS (
    SELECT product, series_id AS category, date_trunc('week', hour) AS week, sum(count) AS complaints
    FROM gold.series
    WHERE series_kind = 'category'
    GROUP BY product, series_id, date_trunc('week', hour)
),
by_week AS (
    SELECT
        product,
        date_trunc('week', hour) AS week,
        sum(count) AS all_complaints,
        max(hour) AS last_complaint_hour
    FROM gold.series
    WHERE series_kind = 'total'
    GROUP BY product, date_trunc('week', hour)
),
categories AS (
    SELECT DISTINCT product, category FROM by_category
)
SELECT
    w.product,
    c.category,
    w.week,
    coalesce(n.complaints, 0) AS complaints,
    w.all_complaints,
    CASE WHEN w.all_complaints > 0
        THEN CAST(coalesce(n.complaints, 0) AS DOUBLE) / w.all_complaints END AS share,
    CASE WHEN before_week.week IS NOT NULL
        THEN coalesce(b.complaints, 0) END AS complaints_week_before,
    CASE WHEN before_week.week IS NOT NULL
        THEN coalesce(n.complaints, 0) - coalesce(b.complaints, 0) END AS change,
    CASE WHEN b.complaints > 0
        THEN CAST(coalesce(n.complaints, 0) AS DOUBLE) / b.complaints - 1.0 END AS change_share,
    w.last_complaint_hour
FROM by_week AS w
INNER JOIN categories AS c ON c.product = w.product
LEFT JOIN by_category AS n
    ON n.product = w.product AND n.category = c.category AND n.week = w.week
LEFT JOIN by_week AS before_week
    ON before_week.product = w.product AND before_week.week = w.week - INTERVAL '7' DAY
LEFT JOIN by_category AS b
    ON b.product = w.product AND b.category = c.category AND b.week = w.week - INTERVAL '7' DAY
ORDER BY w.week DESC, w.product, complaints DESC, c.category
