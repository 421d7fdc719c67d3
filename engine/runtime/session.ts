/**
 * onnxruntime sessions on the CPU. A run blocks this thread, so callers wait for `betweenRuns` before each. Weights are
 * mapped or handed over once.
 */
import { setImmediate } from "node:timers/promises";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { LongsightError } from "../errors.ts";
import type { OnnxModel } from "../onnx/graph.ts";

export { InferenceSession, Tensor };

/**
 * onnxruntime-node reads and writes float16 as Uint16Array, but makes Float16Arrays of it where the language has them,
 * and then cannot read those. It looks once, when the first tensor is made: that one is made here, out of sight of them.
 */
const { Float16Array } = globalThis;
Reflect.deleteProperty(globalThis, "Float16Array");
new Tensor("float16", new Uint16Array(1), [1]);
globalThis.Float16Array = Float16Array;

export interface SessionOptions {
  /** Threads a run may use. */
  readonly nThreads: number;
}

/**
 * Worker threads wait this long for the next operator before they sleep. Operators of one run follow each other within
 * microseconds, so the workers stay awake inside a run; an editor or compiler gets the cores back right after it.
 */
const SPIN_US = 200;

/** Opens a session on a built graph. */
export async function createSession(model: OnnxModel, options: SessionOptions): Promise<InferenceSession> {
  const external: Record<string, string> = { use_device_allocator_for_initializers: "1" };
  if (model.folder !== undefined) external.model_external_initializers_file_folder_path = model.folder;
  return InferenceSession.create(model.bytes, {
    executionProviders: ["cpu"],
    intraOpNumThreads: options.nThreads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    externalData: [...model.buffers],
    extra: { session: { ...external, intra_op: { allow_spinning: "1", spin_duration_us: String(SPIN_US) } } },
  });
}

/**
 * Lets in what has come while a run blocked this thread: one turn of the event loop reads a message, the next one takes
 * it up. Errors: cancelled, where the signal is aborted by then.
 */
export async function betweenRuns(signal: AbortSignal | undefined): Promise<void> {
  for (let turn = 0; signal && turn < 2 && !signal.aborted; turn++) await setImmediate();
  if (signal?.aborted) throw new LongsightError("cancelled", "Cancelled.");
}
