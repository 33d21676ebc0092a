BEGIN TRANSACTION;
CREATE TABLE chat_messages (
    room_id TEXT NOT NULL,
    seq     BIGINT NOT NULL,
    speaker TEXT NOT NULL, -- user or bot
    user_id TEXT NOT NULL,
    text    TEXT NOT NULL,
    action  TEXT NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (room_id, seq)
);
INSERT INTO "chat_messages" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a04',1,'user','ada','Bonjour ☕','',1767366245123456);
INSERT INTO "chat_messages" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a04',2,'bot','','hi','',1767366245123456);
INSERT INTO "chat_messages" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a04',3,'user','ada','yes','approve',1767366245123456);
CREATE TABLE chat_proposals (
    room_id     TEXT PRIMARY KEY,
    workflow_id TEXT NOT NULL,
    title       TEXT NOT NULL,
    input       TEXT NOT NULL
);
INSERT INTO "chat_proposals" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a04','6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a01','T','{"n":1}');
CREATE TABLE chat_rooms (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL, -- empty until the first message says which
    owner      TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
INSERT INTO "chat_rooms" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a04','acme','ada',1767366245123456);
CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
INSERT INTO "goose_db_version" VALUES(1,0,1,'2026-11-21 20:17:50');
INSERT INTO "goose_db_version" VALUES(2,1,1,'2026-11-21 20:17:50');
CREATE TABLE listeners (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL,
    kind       TEXT NOT NULL, -- listener or app_page
    title      TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
INSERT INTO "listeners" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a07','acme','app_page','Page','ada',1767366245123456);
CREATE TABLE run_log (
    run_id TEXT NOT NULL,
    seq    BIGINT NOT NULL,
    type   TEXT NOT NULL,
    node   TEXT NOT NULL,
    data   TEXT NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (run_id, seq)
);
INSERT INTO "run_log" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a02',1,'INPUT_SET','','{"a":1}',1767366245123456);
INSERT INTO "run_log" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a02',2,'NODE_DISPATCHED','start','',1767366245123456);
INSERT INTO "run_log" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a02',3,'NODE_COMPLETED','start','{"output":{"a":1},"handle":"output"}',1767366245123456);
INSERT INTO "run_log" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a02',4,'NODE_DISPATCHED','ask','',1767366245123456);
INSERT INTO "run_log" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a02',5,'NODE_SUSPENDED','ask','{"requestID":"6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a05","config":{"collectionType":"form","title":"Name","outputVariable":"name"}}',1767366245123456);
INSERT INTO "run_log" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a03',1,'INPUT_SET','','{}',1767366245123456);
INSERT INTO "run_log" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a03',2,'RUN_ENDED','','{"status":"FAILED","error":"why"}',1767366245123456);
CREATE TABLE runs (
    id          TEXT PRIMARY KEY,
    workflow_id TEXT NOT NULL,
    tenant      TEXT NOT NULL,
    title       TEXT NOT NULL,
    status      TEXT NOT NULL,
    definition  TEXT NOT NULL,
    started_by  TEXT NOT NULL,
    started_at  BIGINT NOT NULL,
    ended_at    BIGINT NOT NULL,
    error       TEXT NOT NULL
);
INSERT INTO "runs" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a02','6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a01','acme','Order''s way','RUNNING','{"nodes":[{"id":"start","type":"start","position":{"x":1,"y":2},"data":{"title":"Début ☕"}},{"id":"ask","type":"dataCollection","data":{"title":"it''s \"quoted\""}}],"edges":[{"id":"e","source":"start","target":"ask","sourceHandle":"output"}],"workflowOptions":{}}','ada',1767366245123456,0,'');
INSERT INTO "runs" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a03','6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a01','acme','Order''s way','FAILED','{"nodes":[{"id":"start","type":"start","position":{"x":1,"y":2},"data":{"title":"Début ☕"}},{"id":"ask","type":"dataCollection","data":{"title":"it''s \"quoted\""}}],"edges":[{"id":"e","source":"start","target":"ask","sourceHandle":"output"}],"workflowOptions":{}}','ada',1767366246123456,1767366305123456,'why');
CREATE TABLE widgets (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
INSERT INTO "widgets" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a06','acme','ada',1795292270073995);
CREATE TABLE workflows (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL,
    title      TEXT NOT NULL,
    definition TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
INSERT INTO "workflows" VALUES('6f1c1a54-3a2e-4a55-9d7e-0c5d3f6b1a01','acme','Order''s way','{"nodes":[{"id":"start","type":"start","position":{"x":1,"y":2},"data":{"title":"Début ☕"}},{"id":"ask","type":"dataCollection","data":{"title":"it''s \"quoted\""}}],"edges":[{"id":"e","source":"start","target":"ask","sourceHandle":"output"}],"workflowOptions":{}}','ada',1767366245123456,1767369845123456);
CREATE INDEX workflows_by_tenant ON workflows (tenant, title);
CREATE INDEX runs_by_tenant ON runs (tenant, started_at);
CREATE INDEX runs_by_workflow ON runs (workflow_id, started_at);
CREATE INDEX runs_unfinished ON runs (status) WHERE status IN ('PENDING', 'RUNNING');
CREATE INDEX listeners_by_tenant ON listeners (tenant, title);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('goose_db_version',2);
COMMIT;
