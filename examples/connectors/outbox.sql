-- Systemet skriver en række her i samme transaktion som ændringen selv. Kommunebro sætter »sendt«, når den er taget.
CREATE TABLE udbakke (
  loebenr bigserial PRIMARY KEY, haendelse jsonb NOT NULL, oprettet timestamptz NOT NULL DEFAULT now(), sendt timestamptz
);
INSERT INTO udbakke (haendelse) VALUES
  ('{"besoeg": {"id": "B-77", "tilstand": "planlagt", "start": "2026-12-01T09:00:00+01:00", "formaal": ["rekruttering"]},
     "virksomhed": {"navn": "Vestjysk Staldinventar A/S", "cvr": "93100018"},
     "konsulent": {"navn": "Jens Ove Ramskov", "tlf": "+45 00 00 11 04"}}'),
  ('{"besoeg": {"id": "B-77", "tilstand": "afholdt", "start": "2026-12-01T09:00:00+01:00", "formaal": ["rekruttering"]},
     "virksomhed": {"navn": "Vestjysk Staldinventar A/S", "cvr": "93100018"},
     "konsulent": {"navn": "Jens Ove Ramskov", "tlf": "+45 00 00 11 04"}}');
