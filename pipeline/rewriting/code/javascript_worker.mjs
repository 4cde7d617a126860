// Whether each text compiles as JavaScript, as a CommonJS module or as an ES module. Nothing of them runs.
// Needs node --experimental-vm-modules. Arguments: names of files; stdout: a JSON line for each, null or the error.
import { readFileSync } from "node:fs";
import vm from "node:vm";

const NAMES = ["exports", "require", "module", "__filename", "__dirname"];

function error(text) {
  // Node itself takes a first line that names an interpreter for a comment.
  const source = text.startsWith("#!") ? "//" + text : text;
  try {
    vm.compileFunction(source, NAMES);
    return null;
  } catch (asCommon) {
    try {
      new vm.SourceTextModule(source);
      return null;
    } catch (asModule) {
      const shown = /\b(import|export)\b/.test(text) ? asModule : asCommon;
      return `${shown.name}: ${shown.message}`;
    }
  }
}

for (const name of process.argv.slice(2)) {
  console.log(JSON.stringify([name, error(readFileSync(name, "utf8"))]));
}
