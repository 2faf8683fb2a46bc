// own_sender.mjs URL: reads lines {"secret":…,"event":…} and posts each event as docs/sending.md says; a line of the answer each.
import { createInterface } from "node:readline";
import { tell } from "./tell.mjs";

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, event } = JSON.parse(line);
  console.log(JSON.stringify(await tell(process.argv[2], secret, event)));
}
