/** The check of a user's model under every plan, and what comes of it: how the model reads repositories from then on. */
import { type LoadedModel, PROBING, withPlan } from "../runtime/loaded-model.ts";
import { DEFAULT_READING, PLAN_NAMES, type Way, writeGates, writeReading } from "../runtime/reading.ts";
import { bestReading, type CheckOptions, type CheckRow, checkReading, gatesOf } from "./self-check.ts";

export interface CheckReport {
  readonly model: string;
  readonly rows: readonly CheckRow[];
  /** What the model does from now on. */
  readonly chosen: { readonly way: Way; readonly plan: string };
  /** Nothing answered clearly better than guessing does: then nothing is left out. */
  readonly isGuessing: boolean;
}

/** Runs a task on the model of a reference, as loadModel takes it. */
type Use = <T>(ref: string, task: (model: LoadedModel) => Promise<T>) => Promise<T>;

/** Checks the model at a path, one plan after another. Errors: those of loading it, of checkReading, disk-full. */
export async function checkModel(path: string, use: Use, { signal, onProgress }: CheckOptions): Promise<CheckReport> {
  const rows: CheckRow[] = [];
  let [fingerprint, name] = ["", ""];
  for (const [i, plan] of PLAN_NAMES.entries()) {
    if (plan === "split" && !(await splitHeads(path, use))) continue;
    const part = (done: number, total: number) => onProgress?.(i * total + done, PLAN_NAMES.length * total);
    await use(withPlan(path, plan), async (model) => {
      rows.push(...(await checkReading(model, { signal, onProgress: part })));
      fingerprint = model.fingerprint ?? "";
      name = model.name;
    });
  }
  const best = bestReading(rows);
  const { way, plan } = best ?? DEFAULT_READING;
  writeReading(fingerprint, { way, plan });
  return { model: name, rows, chosen: { way, plan }, isGuessing: best === undefined };
}

/** Finds out which heads of a model need far tokens; false where it cannot be told. */
async function splitHeads(path: string, use: Use): Promise<boolean> {
  return await use(withPlan(path, PROBING), async (model) => {
    if (model.hasGates) return true;
    const gates = await gatesOf(model);
    if (gates && model.fingerprint) writeGates(model.fingerprint, gates);
    return gates !== undefined;
  });
}
