#!/usr/bin/env node
// What is wrong with each expression of LogQL in a JSON list on standard input, by Grafana's grammar:
// a JSON list of texts, empty where nothing is. .ci/npm-tools puts it beside
// that grammar, test_logql.py runs it.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const { parser } = createRequire(import.meta.url)('@grafana/lezer-logql');

function complaint(expression) {
  let found = '';
  parser.parse(expression).iterate({
    enter(node) {
      if (node.type.isError && !found) {
        found = `at ${node.from}: ${expression.slice(node.from) || 'its end'}`;
      }
    },
  });
  return found;
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(complaint)));
