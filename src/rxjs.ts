/**
 * What runs of RxJS here. The whole of it is 223 files, which is a third of what importing this
 * library takes in a fresh process; these are about twenty. `rxjs/internal/*` is in its `exports`, but not promised:
 * hence its exact version, and a test that they are the very same as those of `rxjs`.
 */
export { Observable } from 'rxjs/internal/Observable'
export { defer } from 'rxjs/internal/observable/defer'
export { EMPTY } from 'rxjs/internal/observable/empty'
export { of } from 'rxjs/internal/observable/of'
export { concatMap } from 'rxjs/internal/operators/concatMap'
export { exhaustMap } from 'rxjs/internal/operators/exhaustMap'
export { repeat } from 'rxjs/internal/operators/repeat'
export { startWith } from 'rxjs/internal/operators/startWith'
export { switchMap } from 'rxjs/internal/operators/switchMap'
export { take } from 'rxjs/internal/operators/take'
export { Subject } from 'rxjs/internal/Subject'
