/** GGUF's typed key/value pairs. Source: the GGUF specification, versions 2 and 3. */
import { clipped } from "../messages.ts";
import { ByteCursor, damaged } from "./byte-file.ts";
import type { Metadata, MetadataValue } from "./model-file.ts";

const ARRAY = 9;
const STRING = 8;

/** Arrays of arrays may go this deep; real files have one level. */
const MAX_DEPTH = 4;

/** The least bytes a value of each type takes, by GGUF's type number. */
const MIN_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8];

/** Integers that a number holds exactly become numbers. */
const exact = (value: bigint): number | bigint =>
  BigInt(Number(value)) === value && Number.isSafeInteger(Number(value)) ? Number(value) : value;

const SCALARS: Record<number, (cursor: ByteCursor) => MetadataValue> = {
  0: (cursor) => cursor.u8(),
  1: (cursor) => cursor.i8(),
  2: (cursor) => cursor.u16(),
  3: (cursor) => cursor.i16(),
  4: (cursor) => cursor.u32(),
  5: (cursor) => cursor.i32(),
  6: (cursor) => cursor.f32(),
  7: (cursor) => cursor.u8() !== 0,
  // Values may hold raw bytes of a vocabulary, so malformed UTF-8 is tolerated here and only here.
  8: (cursor) => cursor.string(),
  10: (cursor) => exact(cursor.u64()),
  11: (cursor) => exact(cursor.i64()),
  12: (cursor) => cursor.f64(),
};

function readValue(cursor: ByteCursor, type: number, depth: number): MetadataValue {
  if (type !== ARRAY) return SCALARS[type](cursor);
  const { itemType, count } = arrayHeader(cursor, depth);
  const items: MetadataValue[] = [];
  for (let i = 0; i < count; i++) items.push(readValue(cursor, itemType, depth + 1));
  return items;
}

/** Steps over a value, checking its bounds, without keeping it. */
function skipValue(cursor: ByteCursor, type: number, depth: number): void {
  if (type === STRING) {
    cursor.skip(cursor.count(1, "a string"));
  } else if (type === ARRAY) {
    const { itemType, count } = arrayHeader(cursor, depth);
    if (itemType !== STRING && itemType !== ARRAY) cursor.skip(count * MIN_BYTES[itemType]);
    else for (let i = 0; i < count; i++) skipValue(cursor, itemType, depth + 1);
  } else {
    cursor.skip(MIN_BYTES[type]);
  }
}

function arrayHeader(cursor: ByteCursor, depth: number): { itemType: number; count: number } {
  if (depth >= MAX_DEPTH) throw damaged(cursor.file.path, `metadata arrays are nested more than ${MAX_DEPTH} deep`);
  const itemType = valueType(cursor);
  return { itemType, count: cursor.count(MIN_BYTES[itemType], "a metadata array") };
}

function valueType(cursor: ByteCursor): number {
  const type = cursor.u32();
  if (MIN_BYTES[type] === undefined) throw damaged(cursor.file.path, `there is no metadata type ${type}`);
  return type;
}

/** Reads `count` pairs and leaves the cursor after them; arrays are only stepped over. Throws bad-model. */
export function readMetadata(cursor: ByteCursor, count: number): Metadata {
  const { file } = cursor;
  const scalars = new Map<string, MetadataValue>();
  const arrays = new Map<string, number>();
  const has = (key: string) => scalars.has(key) || arrays.has(key);
  for (let i = 0; i < count; i++) {
    const key = cursor.string(true);
    if (has(key)) throw damaged(file.path, `metadata key ${clipped(key, 100)} occurs twice`);
    const type = valueType(cursor);
    if (type === ARRAY) {
      arrays.set(key, cursor.position);
      skipValue(cursor, type, 0);
    } else {
      scalars.set(key, SCALARS[type](cursor));
    }
  }
  return {
    has,
    get: (key) => {
      const start = arrays.get(key);
      return start === undefined ? scalars.get(key) : readValue(new ByteCursor(file, start), ARRAY, 0);
    },
    keys: () => [...scalars.keys(), ...arrays.keys()],
  };
}
