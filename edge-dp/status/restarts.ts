/** Where a supervisor tells the first process of its node, with PUT, how many processes were started again by now. */
export const RESTARTS_PATH = '/restarts';
