CREATE TABLE ordre (
  ordre_id integer PRIMARY KEY, tilstand integer NOT NULL, virksomhedsnavn varchar(200), cvr varchar(8), pnr varchar(10),
  overskrift varchar(200), stilling varchar(100), antal integer, ordning varchar(10), minutter_pr_uge integer,
  kommunekode varchar(4), konsulent_navn varchar(100), konsulent_tlf varchar(30), samtykke varchar(1),
  oprettet timestamp NOT NULL, aendret timestamp NOT NULL, slettet integer NOT NULL, intern_note varchar(500)
);
INSERT INTO ordre VALUES
  (5001, 10, 'Vestjysk Staldinventar A/S', '93100018', NULL, 'Svejser til staldinventar', 'Svejser', 2, 'ORD', 2220,
   '0671', 'Jens Ove Ramskov', '+45 00 00 11 04', 'J', '2026-11-20 08:15:00', '2026-11-20 08:15:00', 0, 'Ring først'),
  (5002, 20, 'Vestjysk Staldinventar A/S', '93100018', NULL, 'Kontorassistent', 'Kontorassistent', 1, 'FLEKS', 900,
   '0671', 'Jens Ove Ramskov', '+45 00 00 11 04', 'A', '2026-11-18 10:00:00', '2026-11-23 09:30:00', 0, NULL);
