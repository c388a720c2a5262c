-- Where every row taken in went: bronze = silver + quarantine + superseded, per source.
-- `pending` are rows that no run has refined yet, below 0 it is a fault.
SELECT
    b.source,
    count(*) AS bronze,
    count(f.bronze_id) AS silver,
    count(q.bronze_id) AS quarantine,
    count(s.bronze_id) AS superseded,
    count(*) - count(f.bronze_id) - count(q.bronze_id) - count(s.bronze_id) AS pending
FROM bronze.feedback AS b
LEFT JOIN silver.feedback AS f ON f.bronze_id = b.bronze_id
LEFT JOIN silver.quarantine AS q ON q.bronze_id = b.bronze_id
LEFT JOIN silver.superseded AS s ON s.bronze_id = b.bronze_id
GROUP BY b.source
ORDER BY b.source
