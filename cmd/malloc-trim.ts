// `malloc_trim` of glibc (malloc_trim(3)): gives free pages inside the heap of malloc back to the operating system.

/**
 * The function; it returns whether anything was given back. Undefined where there is none: a Node without `node:ffi`
 * (https://nodejs.org/api/ffi.html, in Node from 26.1 on, experimental), or a C library that is not glibc.
 */
export function mallocTrim(): (() => boolean) | undefined {
  const ffi = process.getBuiltinModule('node:ffi');
  if (ffi === undefined || process.platform !== 'linux') return undefined;
  try {
    const { functions } = ffi.dlopen('libc.so.6', { malloc_trim: { return: 'i32', arguments: ['u64'] } });
    return () => functions.malloc_trim(0n) === 1;
  } catch {
    // No such library, or no such function in it.
    return undefined;
  }
}
