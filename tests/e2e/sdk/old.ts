/** Version 3.5: pcaps is not in magicTransit yet, stop is missing, and the list of buckets is no page but an array. */
import { writeFile } from 'node:fs/promises';
import Cloudflare, { type ClientOptions } from 'cloudflare-3';
import { all, type Calls } from './call.js';

export function connect(options: ClientOptions): Calls {
  const { pcaps } = new Cloudflare(options);
  return {
    create: ({ params, options }) => pcaps.create(params, options),
    list: ({ params, options }) => all(pcaps.list(params, options)),
    get: ({ id, params, options }) => pcaps.get(id, params, options),
    answer: async ({ id, params }) => (await pcaps.get(id, params).asResponse()).json(),
    download: async ({ id, params, options, file }) => {
      const response = await pcaps.download.get(id, params, options);
      await writeFile(file, Buffer.from(await response.arrayBuffer()));
    },
    'ownership.create': ({ params, options }) => pcaps.ownership.create(params, options),
    'ownership.get': ({ params, options }) => pcaps.ownership.get(params, options),
    'ownership.validate': ({ params, options }) => pcaps.ownership.validate(params, options),
    'ownership.delete': ({ id, params, options }) => pcaps.ownership.delete(id, params, options),
  };
}
