/**
 * Calls the SDK for a test: node main.js current|old CLIENT-OPTIONS
 *
 * Each line of its input is a Call as JSON. Each line of its output is {"value": what the method gave} or {"error": what it threw}.
 */
import { createInterface } from 'node:readline';
import type { Call } from './call.js';

const { connect } = await import(process.argv[2] === 'old' ? './old.js' : './current.js');
const calls = connect(JSON.parse(process.argv[3]));

function told(error: any) {
  const { message, status, errors, headers } = error;
  return {
    name: error.constructor.name,
    message,
    status,
    errors,
    headers: headers && Object.fromEntries(headers instanceof Headers ? headers : Object.entries(headers)),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  const call: Call = JSON.parse(line);
  const answer = await calls[call.call](call).then(
    (value: unknown) => ({ value }),
    (error: unknown) => ({ error: told(error) }),
  );
  console.log(JSON.stringify(answer));
}
