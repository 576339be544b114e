// Loaded before a program under test, by `--import`: with each SIGUSR2 it collects garbage and writes what is left. The
// inspector could tell that too, but not in time on a busy machine.
process.on('SIGUSR2', () => {
  // Needs --expose-gc, which the launcher passes. What the first run frees may have held something else.
  for (let i = 0; i < 2; i++) globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  process.stdout.write(`heap after collection: ${process.memoryUsage().heapUsed}\n`);
});
