import type { Client } from "@x1agent/client";
import { type Job, parseUsd } from "@x1agent/contract";
import { InvalidArgumentError } from "commander";
import { UsageError } from "../exit.ts";

/** An amount such as `2.00`, as micro-dollars. */
export function usd(text: string): number {
  const micros = parseUsd(text);
  if (micros === null) throw new InvalidArgumentError("An amount in dollars, such as 2.00.");
  return micros;
}

/** A whole number of at least zero. */
export function count(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("A whole number.");
  return Number(text);
}

/** A number of days, at least one. */
export function days(text: string): number {
  if (!/^[1-9]\d{0,3}$/.test(text)) throw new InvalidArgumentError("A number of days, at least 1.");
  return Number(text);
}

/** Id of the job that is meant: the given one, or the newest when none is given. */
export async function jobIdOf(client: Client, given: string | undefined): Promise<string> {
  if (given !== undefined) return given;
  const newest = await newestJob(client);
  if (!newest) throw new UsageError("There is no job yet; `x1 run` makes one.");
  return newest.id;
}

async function newestJob(client: Client): Promise<Job | undefined> {
  return (await client.listJobs({ query: { limit: 1 } })).items[0];
}
