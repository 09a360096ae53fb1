-- Stock-outs are remembered across runs, so that the next plan looks elsewhere first.
PRAGMA user_version = 2;

CREATE TABLE stock_outs (
    lineage   TEXT    NOT NULL REFERENCES lineages (lineage),
    candidate TEXT    NOT NULL,
    at        INTEGER NOT NULL,
    PRIMARY KEY (lineage, candidate)
) STRICT;
