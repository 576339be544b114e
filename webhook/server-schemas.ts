// What servers say that have no schemas.

/**
 * Options of a Fastify server none of whose routes has a schema: what compiles schemas is not even loaded, 140 modules
 * (https://fastify.dev/docs/latest/Reference/Server/#schemacontroller).
 */
export const withoutSchemas = {
  schemaController: { compilersFactory: { buildValidator: refuseSchema, buildSerializer: refuseSchema } },
};

function refuseSchema(): never {
  throw new Error('no route of this server has a schema');
}
