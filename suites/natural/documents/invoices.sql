-- Invoicing of the timber co-operative. PostgreSQL 14 or newer.
-- Run in one transaction: psql -1 -f invoices.sql
-- 2024-02-12 mj: reverse charge for customers abroad
-- 2024-09-30 ak: dunning stops at level 3, the solicitor takes over

CREATE TABLE customer (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name          text NOT NULL CHECK (length(name) BETWEEN 2 AND 120),
  country       char(2) NOT NULL DEFAULT 'AT',
  vat_number    text UNIQUE,
  payment_days  smallint NOT NULL DEFAULT 21 CHECK (payment_days BETWEEN 0 AND 90),
  blocked       boolean NOT NULL DEFAULT false
);

CREATE TABLE invoice (
  number        text PRIMARY KEY CHECK (number ~ '^H[0-9]{2}-[0-9]{5}$'),
  customer_id   bigint NOT NULL REFERENCES customer (id) ON DELETE RESTRICT,
  issued_on     date NOT NULL DEFAULT current_date,
  due_on        date NOT NULL,
  paid_on       date,
  dunning_level smallint NOT NULL DEFAULT 0 CHECK (dunning_level <= 3),
  CHECK (due_on >= issued_on)
);

CREATE TABLE line (
  invoice       text NOT NULL REFERENCES invoice (number) ON DELETE CASCADE,
  position      smallint NOT NULL,
  what          text NOT NULL,
  cubic_metres  numeric(9, 3) NOT NULL CHECK (cubic_metres > 0),
  price_cents   integer NOT NULL,
  vat_percent   numeric(4, 1) NOT NULL DEFAULT 13.0,
  PRIMARY KEY (invoice, position)
);

CREATE INDEX invoice_open ON invoice (due_on) WHERE paid_on IS NULL;

-- What an invoice comes to. Logs are sold to the thousandth of a cubic metre; cents are rounded once,
-- on the sum of each rate, as the tax office wants it, and not on every line.
CREATE VIEW invoice_total AS
SELECT number,
       customer_id,
       sum(net)                    AS net_cents,
       sum(round(net * rate / 100)) AS vat_cents
FROM (
  SELECT i.number, i.customer_id, l.vat_percent AS rate,
         round(sum(l.cubic_metres * l.price_cents)) AS net
  FROM invoice i JOIN line l ON l.invoice = i.number
  GROUP BY i.number, i.customer_id, l.vat_percent
) AS by_rate
GROUP BY number, customer_id;

-- Raises the dunning level of what is overdue: 1 after 10 days, 2 after 24, 3 after 45.
-- Customers that are blocked get no further reminders.
CREATE FUNCTION remind(today date DEFAULT current_date) RETURNS integer
LANGUAGE sql AS $$
  WITH raised AS (
    UPDATE invoice i
    SET dunning_level = CASE
          WHEN today - due_on >= 45 THEN 3
          WHEN today - due_on >= 24 THEN 2
          ELSE 1
        END
    FROM customer c
    WHERE c.id = i.customer_id
      AND NOT c.blocked
      AND i.paid_on IS NULL
      AND today - i.due_on >= 10
      AND i.dunning_level < 3
    RETURNING 1
  )
  SELECT count(*)::integer FROM raised;
$$;

-- Interest for late payment, in cents: 9.2 points above the base rate, by the day, from the day after
-- the due date. Consumers would be 4, but the co-operative sells to firms only.
CREATE FUNCTION interest_cents(amount bigint, due date, paid date, base_rate numeric)
RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN paid <= due THEN 0
         ELSE round(amount * (base_rate + 9.2) / 100 * (paid - due) / 365)::bigint END;
$$;

CREATE ROLE clerk;
GRANT SELECT, INSERT ON customer, invoice, line TO clerk;
GRANT UPDATE (paid_on) ON invoice TO clerk;
GRANT EXECUTE ON FUNCTION remind TO clerk;
-- Nobody may delete an invoice, not even the owner's wife. Cancel by a credit note.
REVOKE DELETE ON invoice FROM PUBLIC;
