-- +goose Up
-- The characters that clients of the dialect action register. The checksum, which
-- is the secret of their client, and the token are kept as hashes.
CREATE TABLE accounts (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL,
    lookup     TEXT NOT NULL, -- of the checksum, under a key that is not here
    checksum   TEXT NOT NULL, -- slow and salted
    name       TEXT NOT NULL,
    prompt     TEXT NOT NULL,
    token      TEXT NOT NULL, -- empty if none is good
    created_at BIGINT NOT NULL,
    -- Who decides as this account now, and until when nobody else may.
    holder     TEXT NOT NULL,
    held_until BIGINT NOT NULL
);
CREATE UNIQUE INDEX accounts_by_lookup ON accounts (tenant, lookup);

-- What was said to an account, and what it decided: the latest of each.
CREATE TABLE account_exchanges (
    account_id TEXT NOT NULL,
    seq        BIGINT NOT NULL,
    message    TEXT NOT NULL,
    answer     TEXT NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (account_id, seq)
);
