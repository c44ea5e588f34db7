export const MADE: Readonly<Record<'door-controller.log' | 'weather-station.csv', () => string>>;
