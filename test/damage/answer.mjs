// Says what a store answers: node answer.mjs <directory>
import { answersOf } from './answers.mjs'

process.stdout.write(`${JSON.stringify(await answersOf(process.argv[2]))}\n`)
