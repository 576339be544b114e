// What work costs, whatever else the machine is doing.

/** Processor time of this process, in milliseconds, while `work` runs. */
export function processorMsOf(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
