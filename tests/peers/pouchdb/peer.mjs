// PouchDB as a node, express-pouchdb as the hub: one document a case.
import express from "express"
import expressPouch from "express-pouchdb"
import PouchDB from "pouchdb"
import { mkdirSync } from "node:fs"
import { Agent } from "node:http"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { address, commandLine, groups, lines, records, say, untilTold, withHub } from "../workload.mjs"

const PEER = fileURLToPath(new URL("./peer", import.meta.url))
const NAME = "cases"
/** Documents a batch, on the wire and on the disk. */
const BATCH = 5000
/** Bodies shorter than this many bytes are sent as they are. */
const SMALL = 200
/** Before it is tried again, in ms. */
const RETRY = 1000

function open(folder) {
  mkdirSync(folder, { recursive: true })
  return new PouchDB(join(folder, NAME), { adapter: "leveldb" })
}

function stateOf(steps) {
  return Object.assign({}, ...steps.map(step => step.set))
}

async function fill(work, folder) {
  const db = open(folder)
  for await (const group of groups(records(work, "initial.jsonl"), BATCH))
    await store(db, group.map(({ id, steps }) => ({ _id: id, state: stateOf(steps) })))
  await db.close()
}

/** Lets the server know the database that was laid in its folder: it lists what it has created. */
async function register(listen) {
  await new PouchDB(`http://${listen}/${NAME}`).info()
}

async function store(db, docs) {
  const failed = (await db.bulkDocs(docs)).filter(result => result.error)
  if (failed.length > 0) throw new Error(JSON.stringify(failed[0]))
}

async function apply(work, name, folder) {
  const db = open(folder)
  for await (const group of groups(records(work, name), BATCH)) {
    const held = await db.allDocs({ keys: group.map(({ id }) => id), include_docs: true })
    await store(
      db,
      group.map(({ id, set }, i) => {
        const doc = held.rows[i].doc ?? { _id: id, state: {} }
        return { ...doc, state: { ...doc.state, ...set } }
      }),
    )
  }
  await db.close()
}

async function serve(folder, listen) {
  mkdirSync(folder, { recursive: true })
  const app = express()
  const pouch = expressPouch(PouchDB.defaults({ prefix: folder.replace(/\/*$/, "/") }), {
    mode: "minimumForPouchDB",
    // The configuration holds the server's id, by which a node finds its checkpoint again.
    overrideMode: { include: ["config-infrastructure"] },
    configPath: join(folder, "config.json"),
  })
  app.use("/", pouch)
  const { host, port } = address(listen)
  const server = app.listen(port, host)
  server.keepAliveTimeout = 60_000
  // A large batch takes minutes to arrive over a slow link.
  server.requestTimeout = 0
  await new Promise(resolve => server.once("listening", resolve))
  await untilTold()
  server.closeAllConnections()
}

/** PouchDB's own fetch over connections that are kept, larger bodies compressed. */
function fetcher() {
  const agent = new Agent({ keepAlive: true })
  return (url, options = {}) => {
    options.agent = agent
    if (typeof options.body === "string" && options.body.length > SMALL) {
      options.body = gzipSync(options.body)
      options.headers.set("Content-Encoding", "gzip")
    }
    return PouchDB.fetch(url, options)
  }
}

async function sync(folder, connect) {
  const local = open(folder)
  const hub = new PouchDB(`http://${connect}/${NAME}`, { skip_setup: true, fetch: fetcher() })
  const batches = { batch_size: BATCH, batches_limit: 10 }
  for (;;) {
    try {
      const result = await PouchDB.sync(local, hub, {
        push: { ...batches, checkpoint: "source" },
        pull: { ...batches, checkpoint: "target" },
      })
      for (const way of [result.push, result.pull])
        if (!way.ok || way.errors.length > 0) throw new Error(`not complete: ${JSON.stringify(way)}`)
      break
    } catch (error) {
      // PouchDB itself tries again in live mode only; here, where the connection failed.
      if (error.type !== "system") throw error
      await new Promise(resolve => setTimeout(resolve, RETRY))
    }
  }
  await local.close()
}

async function read(folder, ids) {
  const db = open(folder)
  for await (const group of groups(lines(ids), BATCH)) {
    const held = await db.allDocs({ keys: group, include_docs: true })
    for (const row of held.rows) await say({ id: row.key, state: row.doc?.state ?? null })
  }
  await db.close()
}

const { verb, options } = commandLine()
switch (verb) {
  case "prepare":
    await fill(options.work, options.hub)
    await withHub(PEER, options.hub, async listen => {
      await register(listen)
      await sync(options.node, listen)
      // What was pulled is offered back once, at the second meeting.
      await sync(options.node, listen)
    })
    break
  case "prepare-empty":
    await fill(options.work, options.hub)
    await withHub(PEER, options.hub, register)
    await open(options.node).close()
    break
  case "apply":
    await apply(options.work, "up.jsonl", options.node)
    await apply(options.work, "down.jsonl", options.hub)
    break
  case "serve":
    await serve(options.hub, options.listen)
    break
  case "sync":
    await sync(options.node, options.connect)
    await say({ ok: true })
    break
  case "read":
    await read(options.dir, options.ids)
    break
  default:
    process.stderr.write(`unknown verb: ${verb}\n`)
    process.exit(2)
}
process.exit(0)
