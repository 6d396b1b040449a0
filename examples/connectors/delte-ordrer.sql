-- Tabellen, som det delte lægges i: en række for hver ordre, ejer og alliance.
CREATE TABLE delte_ordrer (
  ejer varchar(40) NOT NULL,
  ordre varchar(64) NOT NULL,
  alliance varchar(64) NOT NULL,
  tilstand varchar(40),
  titel varchar(200),
  antal integer,
  PRIMARY KEY (ejer, ordre, alliance)
);
