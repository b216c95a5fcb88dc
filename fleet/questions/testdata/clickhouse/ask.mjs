// Asks ClickHouse, as a library in this process.
//
// In goes a JSON object on standard input: statements that are run first, and
// questions. Out comes a JSON object: the version, and for each question its
// columns and rows, or the error.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { Session, version } = createRequire(import.meta.url)('chdb');
const order = JSON.parse(readFileSync(0, 'utf8'));
const session = new Session();
const out = { version: '', answers: [] };
try {
  out.version = JSON.parse(session.query('SELECT version()', 'JSONCompact')).data[0][0];
  for (const sql of order.begin) session.query(sql, 'Null');
  for (const sql of order.questions) {
    try {
      const { meta, data } = JSON.parse(session.query(sql, 'JSONCompact'));
      out.answers.push({ meta, data });
    } catch (e) {
      out.answers.push({ error: e.message });
    }
  }
} finally {
  session.cleanup();
}
console.log(JSON.stringify(out));
