/**
 * Draws the plots again from the results that there are.
 *
 *   npm run bench:plots
 *   npm run bench:plots -- --from <directory>
 */
import { parseArgs } from 'node:util'
import { RESULTS } from '../results.ts'
import { drawPlots } from './draw.ts'

const { values } = parseArgs({ options: { from: { type: 'string', default: RESULTS } } })
for (const path of await drawPlots(values.from)) console.log(`drawn: ${path}`)
