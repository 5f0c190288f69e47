/**
 * The data of benchmarks, drawn from a seed. In JavaScript, because processes whose memory is
 * measured load it too, and what compiles TypeScript on the way takes memory of its own.
 */

const GOLDEN = 0x9e3779b9

/** The mixing step of splitmix32, from 0 to 1. The same numbers for the same seed, everywhere. */
export function seededRandom(seed) {
  let state = seed | 0
  return () => {
    state = (state + GOLDEN) | 0
    return mix(state) / 0x1_0000_0000
  }
}

function mix(state) {
  let mixed = Math.imul(state ^ (state >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

export function keyOf(concept) {
  return `concept-${concept}`
}

/** One hundred bytes that no other concept has. */
export function contentOf(concept) {
  return `Concept ${concept} `.padEnd(100, 'what there is to say about it, ')
}

export function* conceptRecords(from, to) {
  for (let i = from; i < to; i++) {
    yield { kind: 'concept', key: keyOf(i), type: 'thing', content: contentOf(i) }
  }
}

/** Associations of each concept, to others anywhere. Drawn again from one seed, they are the same. */
export function* associationRecords(concepts, each, seed) {
  for (const { source, target, type } of associationsOf(concepts, each, seed)) {
    const [sourceKey, targetKey] = [keyOf(source), keyOf(target)]
    yield { kind: 'association', sourceKey, targetKey, type, strength: 0.5 }
  }
}

export function* associationsOf(concepts, each, seed) {
  for (let source = 0; source < concepts; source++) {
    const targets = targetsOf(source, concepts, each, seed)
    for (const [n, target] of targets.entries()) yield { source, target, type: `type-${n}` }
  }
}

/** Of one concept, so that a sample can be compared without drawing all before it. */
export function targetsOf(source, concepts, each, seed) {
  const random = seededRandom(Math.imul(source + 1, 0x2545f491) ^ seed)
  return Array.from({ length: each }, () => Math.floor(random() * concepts))
}

/** What a program of its own would store under: 16 bytes that look random. */
export function bareKey(concept) {
  // As cheap as can be: what it is compared with must not look good because of it.
  const key = Buffer.allocUnsafe(16)
  let state = concept
  for (let at = 0; at < 16; at += 4) {
    state = (state + GOLDEN) | 0
    key.writeUInt32BE(mix(state), at)
  }
  return key
}

/** Where an association is found: `>` is behind the row of its source, `<` of its target. */
export function bareKeysOfAssociation({ source, target, type }) {
  const [from, to] = [bareKey(source), bareKey(target)]
  return [
    Buffer.concat([from, Buffer.from(`>${type}`), to]),
    Buffer.concat([to, Buffer.from(`<${type}`), from])
  ]
}
