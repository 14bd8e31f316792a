// Put a network that reads large pictures of thin lines behind small ones: a new ONNX file whose input is SIDE x SIDE.
//
// usage: node tests/web/symbols/adapt-teacher.mjs MODEL.onnx OUT.onnx SIDE
//
// In front of the file's own first node come a bilinear Resize from SIDE pixels to what it reads, and a steep ramp,
// clip(6 (x - 0.4) + 0.5, 0, 1): enlarging leaves lines wide and pale, the ramp makes them thin and white again. Nothing else
// changes: nodes and weights are copied byte for byte. The input has one channel; 0 is ground, 1 is ink.
//
// ONNX is protocol buffers: a message is a list of (field, value), and whoever copies a field need not understand it.
// The fields used here: ModelProto.graph 7; GraphProto.node 1, .initializer 5, .input 11.
// Exit codes: 0 complete, 1 another file than expected, 2 usage.

import fs from 'node:fs';
import path from 'node:path';

const GAIN = 6;
const MIDDLE = 0.4;

// ---- protocol buffers ----

function readVarint(bytes, at) {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
        const byte = bytes[at++];
        value += (byte & 127) * shift;
        if (byte < 128) return [value, at];
    }
}

function varint(value) {
    const bytes = [];
    for (; value > 127; value = Math.floor(value / 128)) bytes.push((value & 127) | 128);
    return Buffer.from([...bytes, value]);
}

/** The fields of a message: { field, type, body (of type 2), whole: with tag and length }. */
function fieldsOf(message) {
    const fields = [];
    for (let at = 0; at < message.length; ) {
        const begin = at;
        let tag, length;
        [tag, at] = readVarint(message, at);
        const type = tag & 7;
        let body = null;
        if (type === 2) {
            [length, at] = readVarint(message, at);
            body = message.subarray(at, at + length);
            at += length;
        } else if (type === 0) [, at] = readVarint(message, at);
        else if (type === 5) at += 4;
        else if (type === 1) at += 8;
        else throw new Error(`a field of wire type ${type}: no ONNX file`);
        if (at > message.length) throw new Error('a field runs over its end: no ONNX file');
        fields.push({ field: tag >> 3, body, whole: message.subarray(begin, at) });
    }
    return fields;
}

const put = (field, body) => {
    const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body);
    return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);
};
const putNumber = (field, value) => Buffer.concat([varint(field * 8), varint(value)]);
const all = (fields, field) => fields.filter((f) => f.field === field);

// ---- ONNX ----

function floats(name, dims, values) {
    const data = Buffer.alloc(4 * values.length);
    values.forEach((v, i) => data.writeFloatLE(v, 4 * i));
    return Buffer.concat([...dims.map((d) => putNumber(1, d)), putNumber(2, 1), put(8, name), put(9, data)]);
}

function text(name, value) {
    return put(5, Buffer.concat([put(1, name), put(4, value), putNumber(20, 3)]));
}

function node(type, inputs, output, attributes = []) {
    return Buffer.concat([
        ...inputs.map((name) => put(1, name)),
        put(2, output),
        put(3, `adapt_${output}`),
        put(4, type),
        ...attributes,
    ]);
}

/** ValueInfoProto: a float tensor of these sides. */
function valueInfo(name, sides) {
    const shape = Buffer.concat(sides.map((side) => put(1, putNumber(1, side))));
    return Buffer.concat([put(1, name), put(2, put(1, Buffer.concat([putNumber(1, 1), put(2, shape)])))]);
}

/** Name and sides of a ValueInfoProto. */
function readInput(info) {
    const fields = fieldsOf(info);
    const tensor = fieldsOf(all(fieldsOf(all(fields, 2)[0].body), 1)[0].body);
    const sides = all(fieldsOf(all(tensor, 2)[0].body), 1).map(({ body }) => {
        const value = fieldsOf(body).find((f) => f.field === 1);
        return value ? readVarint(value.whole, 1)[0] : 0;
    });
    return { name: all(fields, 1)[0].body.toString(), sides };
}

function adapt(model, side) {
    const outer = fieldsOf(model);
    const graph = fieldsOf(all(outer, 7)[0].body);
    const inputs = all(graph, 11).map((f) => readInput(f.body));
    const [input] = inputs;
    if (inputs.length !== 1 || input.sides.length !== 4 || input.sides[1] !== 1 || input.sides[2] !== input.sides[3])
        throw new Error(`expected one input [N, 1, SIDE, SIDE], found ${JSON.stringify(inputs)}`);
    const scale = input.sides[2] / side;
    const front = [
        node('Resize', ['picture', '', 'adapt_scales'], 'adapt_large', [
            text('mode', 'linear'),
            text('coordinate_transformation_mode', 'half_pixel'),
        ]),
        node('Mul', ['adapt_large', 'adapt_gain'], 'adapt_steep'),
        node('Add', ['adapt_steep', 'adapt_offset'], 'adapt_shifted'),
        node('Clip', ['adapt_shifted', 'adapt_low', 'adapt_high'], input.name),
    ].map((body) => put(1, body));
    const constants = [
        floats('adapt_scales', [4], [1, 1, scale, scale]),
        floats('adapt_gain', [], [GAIN]),
        floats('adapt_offset', [], [0.5 - GAIN * MIDDLE]),
        floats('adapt_low', [], [0]),
        floats('adapt_high', [], [1]),
    ].map((body) => put(5, body));
    const rest = graph.filter((f) => f.field !== 11).map((f) => f.whole);
    const picture = put(11, valueInfo('picture', [input.sides[0] || 1, 1, side, side]));
    const body = Buffer.concat([...front, ...constants, picture, ...rest]);
    return Buffer.concat([...outer.filter((f) => f.field !== 7).map((f) => f.whole), put(7, body)]);
}

const [from, to, side] = process.argv.slice(2);
if (process.argv.length !== 5 || !(Number(side) >= 1)) {
    process.stderr.write('usage: node tests/web/symbols/adapt-teacher.mjs MODEL.onnx OUT.onnx SIDE\n');
    process.exit(2);
}
try {
    const bytes = adapt(fs.readFileSync(from), Number(side));
    if (!fs.existsSync(to) || !fs.readFileSync(to).equals(bytes)) {
        fs.mkdirSync(path.dirname(to), { recursive: true });
        fs.writeFileSync(`${to}.part`, bytes);
        fs.renameSync(`${to}.part`, to);
    }
} catch (error) {
    process.stderr.write(`adapt-teacher: ${from}: ${error.message}\n`);
    process.exitCode = 1;
}
