// What the two peers in JavaScript share: reading the workload's files and the command line.
import { createReadStream } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"

/** The verb, and every `--name value` after it. */
export function commandLine(argv = process.argv.slice(2)) {
  const [verb, ...rest] = argv
  const options = {}
  for (let i = 0; i < rest.length; i += 2) options[rest[i].replace(/^--/, "")] = rest[i + 1]
  return { verb, options }
}

/** `HOST:PORT` in its two parts. */
export function address(text) {
  const at = text.lastIndexOf(":")
  return { host: text.slice(0, at), port: Number(text.slice(at + 1)) }
}

/** The lines of a text file, one at a time, empty ones left out. */
export async function* lines(path) {
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity }))
    if (line !== "") yield line
}

/** The objects of one of the workload's files of JSON lines. */
export async function* records(folder, name) {
  for await (const line of lines(join(folder, name))) yield JSON.parse(line)
}

/** Groups of at most `size` of what `source` gives. */
export async function* groups(source, size) {
  let group = []
  for await (const one of source) {
    group.push(one)
    if (group.length === size) {
      yield group
      group = []
    }
  }
  if (group.length > 0) yield group
}

/** Says `ready`, and resolves when the process is asked to end. */
export function untilTold() {
  const told = new Promise(resolve => {
    for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, resolve)
  })
  process.stdout.write("ready\n")
  return told
}

/** Prints one line of JSON and resolves when it has left the process. */
export function say(value) {
  return new Promise(resolve => process.stdout.write(JSON.stringify(value) + "\n", resolve))
}

/** Starts the hub in a process of its own on a free loopback port, runs `work` with it, ends it. */
export async function withHub(program, hub, work) {
  const { spawn } = await import("node:child_process")
  const listen = `127.0.0.1:${await freePort()}`
  const child = spawn(program, ["serve", "--hub", hub, "--listen", listen], {
    stdio: ["ignore", "pipe", "inherit"],
  })
  const ended = new Promise(resolve => child.once("exit", resolve))
  try {
    await new Promise((resolve, reject) => {
      child.stdout.on("data", text => String(text).includes("ready") && resolve())
      ended.then(() => reject(new Error("the hub did not start")))
    })
    return await work(listen)
  } finally {
    child.kill("SIGTERM")
    await ended
  }
}

async function freePort() {
  const { createServer } = await import("node:net")
  const server = createServer().listen(0, "127.0.0.1")
  await new Promise(resolve => server.once("listening", resolve))
  const { port } = server.address()
  await new Promise(resolve => server.close(resolve))
  return port
}
