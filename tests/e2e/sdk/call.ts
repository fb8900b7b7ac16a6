/** What both versions of the SDK are asked for: one call of one typed method. */
export interface Call {
  /** Which of Calls. */
  call: string;
  /** Of the job or the bucket, where the method wants one. */
  id: string;
  /** The method's own parameters; account_id is among them. */
  params: any;
  /** The SDK's request options: query, headers. */
  options?: any;
  /** Where a download is written. */
  file: string;
}

export type Calls = Record<string, (call: Call) => Promise<unknown>>;

/** Everything that an async iteration gives. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const got: T[] = [];
  for await (const item of items) got.push(item);
  return got;
}
