/**
 * A linear memory whose matrix M is trained while reading: surprise, momentum, forgetting.
 * Source: Titans (arXiv 2501.00663). The loss of a token is |M k - v|², its gradient 2 (M k - v) kᵀ;
 * S = eta S - theta gradient, M = (1 - alpha) M + S. Gradients of a chunk are taken at the matrix before it, so that a
 * chunk's tokens are independent. With keys of unit length, theta times the chunk's length must stay below 1 - eta, or
 * equal tokens one after another, such as indentation, blow M up.
 */

/** [m, m] each, rows are value channels. */
export interface Learned {
  readonly matrix: Float32Array;
  readonly surprise: Float32Array;
}

/** What n tokens teach. */
export interface Lesson {
  /** [n, m], of unit length */
  readonly keys: Float32Array;
  /** [n, m] */
  readonly values: Float32Array;
  /** [n] each */
  readonly theta: Float32Array;
  readonly eta: Float32Array;
  readonly alpha: Float32Array;
}

/** Learns one chunk, in place. */
export function learnChunk({ matrix, surprise }: Learned, { keys, values, theta, eta, alpha }: Lesson): void {
  const n = theta.length;
  const m = keys.length / n;
  const errors = new Float32Array(n * m);
  for (let t = 0; t < n; t++) {
    const recalled = recall(matrix, keys.subarray(t * m, (t + 1) * m));
    for (let i = 0; i < m; i++) errors[t * m + i] = 2 * (recalled[i] - values[t * m + i]);
  }
  // From the end: how much of a token's surprise is left in S, and how much of it has gone into M, once for each token since.
  const inSurprise = new Float64Array(n);
  const inMatrix = new Float64Array(n);
  let momentum = 1;
  let kept = 1;
  let gone = 0;
  for (let t = n - 1; t >= 0; t--) {
    gone = kept + (t + 1 < n ? eta[t + 1] * gone : 0);
    inSurprise[t] = momentum * theta[t];
    inMatrix[t] = gone * theta[t];
    momentum *= eta[t];
    kept *= 1 - alpha[t];
  }
  const carried = eta[0] * gone;
  for (let i = 0; i < m * m; i++) {
    matrix[i] = kept * matrix[i] + carried * surprise[i];
    surprise[i] *= momentum;
  }
  for (let t = 0; t < n; t++) {
    for (let i = 0; i < m; i++) {
      const error = errors[t * m + i];
      const [toMatrix, toSurprise] = [inMatrix[t] * error, inSurprise[t] * error];
      for (let j = 0; j < m; j++) {
        const key = keys[t * m + j];
        matrix[i * m + j] -= toMatrix * key;
        surprise[i * m + j] -= toSurprise * key;
      }
    }
  }
}

/** M k [m]. Reading changes nothing. */
export function recall(matrix: Float32Array, key: Float32Array): Float32Array {
  const m = key.length;
  const found = new Float32Array(m);
  for (let i = 0; i < m; i++) {
    let sum = 0;
    for (let j = 0; j < m; j++) sum += matrix[i * m + j] * key[j];
    found[i] = sum;
  }
  return found;
}
