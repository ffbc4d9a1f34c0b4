import type { BundleRow } from '../../shared/bundle/format.ts';
import type { ProtoDescriptor, ProtoProblem } from '../../shared/grpc/descriptor.ts';
import { isRecord } from '../../shared/record.ts';
import { messageOf } from '../../shared/thrown.ts';
import { readProtoFile } from './proto-file.ts';

/** Plugins whose `config.proto` names a file of the control plane. */
export const WITH_PROTO: ReadonlySet<unknown> = new Set(['grpc-gateway', 'grpc-web']);

/** A row of plugins as it travels: what its `.proto` file says is in the place of the file's name. */
export function withProto(row: BundleRow): BundleRow {
  const { name, config } = row;
  if (!WITH_PROTO.has(name) || !isRecord(config) || typeof config.proto !== 'string') return row;
  return { ...row, config: { ...config, proto: described(config.proto) } };
}

function described(path: string): ProtoDescriptor | ProtoProblem {
  try {
    return readProtoFile(path);
  } catch (error) {
    return { problem: messageOf(error) };
  }
}
