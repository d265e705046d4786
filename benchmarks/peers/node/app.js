// node app.js PORT PROCESSES: an echo by co-wechat on koa, as its README does it.
//
// With DATABASE_URL (sqlite:///file or postgresql://…) it records each message with its answer and its
// follower before it answers, one commit a message: what co-wechat costs if it does our work.
'use strict';

const cluster = require('cluster');
const Koa = require('koa');
const wechat = require('co-wechat');

const [port, processes] = process.argv.slice(2).map(Number);
const url = process.env.DATABASE_URL || '';
const account = {
  token: process.env.WECHAT_TOKEN,
  appid: process.env.WECHAT_APP_ID,
  encodingAESKey: process.env.WECHAT_ENCODING_AES_KEY,
};

const schema = (id) => `
  CREATE TABLE followers (
    id ${id}, openid VARCHAR(64) NOT NULL UNIQUE, first_seen TIMESTAMP NOT NULL, last_seen TIMESTAMP NOT NULL);
  CREATE TABLE messages (
    id ${id}, follower_id BIGINT NOT NULL REFERENCES followers (id), dedup_key VARCHAR(64) NOT NULL UNIQUE,
    kind VARCHAR(32) NOT NULL, content TEXT, created_at BIGINT NOT NULL, received_at TIMESTAMP NOT NULL, reply TEXT);
  CREATE INDEX messages_of_follower ON messages (follower_id, id)`;
const UPSERT = `
  INSERT INTO followers (openid, first_seen, last_seen) VALUES ($1, $2, $2)
  ON CONFLICT (openid) DO UPDATE SET last_seen = excluded.last_seen RETURNING id`;
const INSERT = `
  INSERT INTO messages (follower_id, dedup_key, kind, content, created_at, received_at, reply)
  VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (dedup_key) DO NOTHING`;

const row = (follower, message, now, reply) =>
  [follower, message.MsgId, message.MsgType, message.Content, Number(message.CreateTime), now, reply];

const nothing = { prepare: async () => {}, recorder: () => async () => {} };

const sqlite = {
  open() {
    const db = new (require('better-sqlite3'))(url.replace('sqlite:///', ''), { timeout: 10000 });
    db.pragma('journal_mode = WAL');
    db.pragma(`synchronous = ${process.env.SQLITE_SYNCHRONOUS}`);
    return db;
  },
  async prepare() {
    this.open().exec(schema('INTEGER PRIMARY KEY')).close();
  },
  recorder() {
    const db = this.open();
    const upsert = db.prepare(UPSERT.replace(/\$\d/g, '?')), insert = db.prepare(INSERT.replace(/\$\d/g, '?'));
    return db.transaction((message, reply) => {
      const now = new Date().toISOString();
      const follower = upsert.get(message.FromUserName, now, now);
      insert.run(...row(follower.id, message, now, reply));
    }).immediate;
  },
};

const postgres = {
  async prepare() {
    const client = new (require('pg').Client)({ connectionString: url });
    await client.connect();
    await client.query(schema('BIGSERIAL PRIMARY KEY'));
    await client.end();
  },
  recorder() {
    const pool = new (require('pg').Pool)({ connectionString: url, max: 10 });
    return async (message, reply) => {
      const client = await pool.connect();
      try {
        const now = new Date();
        await client.query('BEGIN');
        const found = await client.query({ name: 'upsert', text: UPSERT, values: [message.FromUserName, now] });
        const values = row(found.rows[0].id, message, now, reply);
        await client.query({ name: 'insert', text: INSERT, values });
        await client.query('COMMIT');
      } finally {
        client.release();
      }
    };
  },
};

const store = url.startsWith('sqlite:') ? sqlite : url ? postgres : nothing;

async function main() {
  if (cluster.isPrimary) {
    await store.prepare();
    for (let i = 0; i < processes; i++) cluster.fork();
    return;
  }
  const record = store.recorder();
  const answer = async (message) => {
    await record(message, message.Content);
    return message.Content;
  };
  new Koa().use(wechat(account).middleware(answer)).listen(port, '127.0.0.1');
}

main();
