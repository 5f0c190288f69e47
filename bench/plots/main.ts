/** Draws the plots again from the results that there are. */
import { Command } from 'commander'
import { RESULTS } from '../results.ts'
import { drawPlots } from './draw.ts'

const program = new Command('npm run bench:plots --')
  .description('Draw the plots again from the results that there are.')
  .option('--from <directory>', 'where the results are', RESULTS)
  .parse()
const { from } = program.opts<{ from: string }>()
for (const path of await drawPlots(from)) console.log(`drawn: ${path}`)
