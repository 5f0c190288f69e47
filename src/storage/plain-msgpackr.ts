// msgpackr's native string decoder has an open report of silent corruption under memory
// pressure, so it is switched off. It reads this variable once, while it is imported; ES modules
// are evaluated in import order, so importing this file first is enough. `codec.ts` restores it.
export const VARIABLE = 'MSGPACKR_NATIVE_ACCELERATION_DISABLED'
export const previous: string | undefined = process.env[VARIABLE]
process.env[VARIABLE] = 'true'
