import { fixedConfigWorker } from './fixed-config-worker.ts';

export default fixedConfigWorker();
