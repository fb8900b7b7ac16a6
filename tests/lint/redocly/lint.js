#!/usr/bin/env node
// Redocly's linter over a document: lint.js MODULES DOCUMENT. MODULES is where tests/support/npm-install has put the linter;
// the rules are in redocly.yaml. A rule of the linter that redocly.yaml does not name is on.
'use strict';

const fs = require('fs');
const path = require('path');

async function main(modules, document)
{
	const folder = path.resolve(modules, 'node_modules/@redocly/openapi-core');

	if (!fs.existsSync(folder)) {
		console.log(`no linter in ${modules}: run tests/support/npm-install tests/lint/redocly ${modules}`);
		return 1;
	}
	const core = require(folder);
	const all = require(path.join(folder, 'lib/config/all.js')).default;
	const config = await core.loadConfig({configPath: path.join(__dirname, 'redocly.yaml')});
	const problems = await core.lint({ref: document, config});
	const rules = Object.keys({...all.rules, ...all.oas3_1Rules}).length;

	for (const one of problems) {
		const place = core.getLineColLocation(one.location[0]);
		console.log(`${path.relative('.', place.source.absoluteRef)}:${place.start.line}: ` +
			`${one.location[0].pointer || ''}: ${one.message} (${one.ruleId})`);
	}
	console.log(`redocly: ${rules} rules, ${problems.length} problems`);
	return problems.length > 0 || rules < 50 ? 1 : 0;
}

main(...process.argv.slice(2)).then(
	(code) => process.exit(code),
	(error) => {
		console.log(String(error.stack || error));
		process.exit(1);
	});
