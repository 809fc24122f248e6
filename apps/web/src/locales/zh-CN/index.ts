import auth from './auth.json';
import chat from './chat.json';
import common from './common.json';
import errors from './errors.json';
import trace from './trace.json';

export default { auth, chat, common, errors, trace };
