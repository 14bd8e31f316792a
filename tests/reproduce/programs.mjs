// Programs that this driver starts: their words go to a log, and a signal to the driver reaches them.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';

/** An error that a person must read: its text and the exit code of the driver. */
export class Failure extends Error {
    constructor(exitCode, text) {
        super(text);
        this.exitCode = exitCode;
    }
}

const children = new Set();
let wasStopped = false;

export const isStopping = () => wasStopped;

/** Ends what runs, in the way that keeps a checkpoint; nothing new begins. */
export function stopPrograms() {
    wasStopped = true;
    for (const child of children) child.kill('SIGTERM');
}

/** Runs a program to its end, its words behind the others in the file `log`. Returns its exit code. */
export async function runProgram(log, command, args) {
    if (wasStopped) throw new Failure(11, 'stopped; the same command goes on');
    const out = fs.openSync(log, 'a');
    const child = spawn(command, args, { stdio: ['ignore', out, out] });
    fs.closeSync(out);
    children.add(child);
    const code = await new Promise((resolve) => {
        child.on('error', (error) => {
            fs.appendFileSync(log, `${command}: ${error.message}\n`);
            resolve(127);
        });
        child.on('close', (status, signal) => resolve(signal ? 128 + os.constants.signals[signal] : status));
    });
    children.delete(child);
    if (wasStopped || code === 11) throw new Failure(11, 'stopped; the same command goes on');
    return code;
}

/** The failure of a program that ended with `code`, with its last words. */
export function failureOf(log, what, code) {
    const said = fs.readFileSync(log, 'utf8').trimEnd().split('\n').slice(-4).join('\n  ');
    return new Failure(code, `${what} ended with exit code ${code}\n  ${said}\n  all of it: ${log}`);
}
