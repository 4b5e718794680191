import './style/tokens.css';
import './style/page.css';
import './style/controls.css';
import './style/setup.css';
import './style/results.css';
import { Playground } from './page/playground.js';

new Playground();
