//! Commands of places. Members of a key are at places of their own, and no other module knows these keys: which of two members at one
//! distance COUNT leaves out is not agreed.

use crate::dice::{Dice, KEYS};

/// Members of a key, at most.
const MEMBERS: u64 = 300;

/// What the keys begin with.
pub(crate) const PLACES: &str = "geo";

impl Dice {
    fn places(&mut self) -> String {
        format!("{PLACES}:{}", self.below(KEYS))
    }

    fn place_name(&mut self) -> String {
        if self.below(30) == 0 { self.sorted_member() } else { format!("p:{}", self.below(MEMBERS)) }
    }

    /// Degrees near one of a few places, so that searches find something, or anywhere, or at an edge, or none.
    fn degrees(&mut self, max: f64, centres: [f64; 3], nth: u64) -> String {
        let share = self.below(1 << 40) as f64 / (1u64 << 40) as f64;
        let near = centres[nth as usize % 3] + share * self.of_spread();
        match self.below(40) {
            0 => self.of(&["0", "-0", "1e1", "x", "", "nan", "inf", "200", "-86", "180.0001"]).to_owned(),
            1 => (-max).to_string(),
            2 => max.to_string(),
            3..=9 => ((share * 2.0 - 1.0) * max).to_string(),
            _ => near.to_string(),
        }
    }

    fn of_spread(&mut self) -> f64 {
        [0.001, 0.1, 2.0, 5.0][self.below(4) as usize]
    }

    fn place(&mut self) -> [String; 2] {
        let nth = self.below(3);
        [self.degrees(180.0, [13.3, -122.4, 178.0], nth), self.degrees(85.051_128_78, [38.1, 37.7, 80.0], nth)]
    }

    /// A length and its unit.
    fn length(&mut self) -> [String; 2] {
        let length = match self.below(20) {
            0 => self.of(&["0", "-1", "x", "", "inf", "1e300", "0.0000001", "0x1f"]).to_owned(),
            _ => (10f64.powf(self.below(700) as f64 / 100.0) + 0.25).to_string(),
        };
        [length, self.of_unit()]
    }

    fn of_unit(&mut self) -> String {
        let units = ["m", "km", "ft", "mi", "M", "Km", "m", "km", "ft", "mi", "m", "m", "km", "km", "parsec"];
        self.of(&units).to_owned()
    }

    fn centre(&mut self) -> Vec<String> {
        match self.below(12) {
            0 => Vec::new(),
            1 => [vec!["frommember".into(), self.place_name(), "FROMLONLAT".into()], self.place().into()].concat(),
            2..=5 => vec!["FROMMEMBER".into(), self.place_name()],
            _ => [vec!["fromlonlat".to_owned()], self.place().into()].concat(),
        }
    }

    fn shape(&mut self) -> Vec<String> {
        let [width, unit] = self.length();
        match self.below(12) {
            0 => Vec::new(),
            1 => vec!["byradius".into(), width.clone(), unit.clone(), "BYBOX".into(), width.clone(), width, unit],
            2..=6 => vec!["BYRADIUS".into(), width, unit],
            _ => vec!["bybox".into(), width, self.length()[0].clone(), unit],
        }
    }

    /// `of_places`: members are at places of their own.
    fn search_options(&mut self, of_places: bool) -> Vec<String> {
        let mut words = Vec::new();
        while self.below(5) < 3 {
            match self.below(11) {
                0 if !of_places => {}
                0 | 1 if of_places => words.extend(["COUNT".to_owned(), (1 + self.below(20)).to_string()]),
                2 if of_places => words.push("any".to_owned()),
                3 if of_places => {
                    let any = self.of(&["ANY", "any", "asc"]).to_owned();
                    words.extend(["count".to_owned(), (1 + self.below(6)).to_string(), any]);
                }
                4 => words.push(self.of(&["asc", "DESC", "asc", "foo"]).to_owned()),
                5 => words.push(self.of(&["ASC", "desc"]).to_owned()),
                6 => words.extend(["count", self.of(&["0", "-1", "x", "100000"])].map(str::to_owned)),
                7 => words.push("WITHCOORD".to_owned()),
                8 => words.push("withdist".to_owned()),
                _ => words.push(self.of(&["WITHHASH", "withdist", "WITHCOORD"]).to_owned()),
            }
        }
        words
    }

    pub(crate) fn geo_command(&mut self) -> Vec<String> {
        let of_places = self.below(12) != 0;
        let key = if of_places { self.places() } else { self.key_of("zset") };
        match self.below(20) {
            0..=4 => {
                let mut words = vec!["geoadd".to_owned(), self.places()];
                while self.below(5) == 0 {
                    words.push(self.of(&["NX", "xx", "CH", "ch", "GT"]).to_owned());
                }
                let many = if self.below(20) == 0 { 150 } else { 5 };
                for _ in 0..self.below(many) {
                    words.extend(self.place());
                    words.push(self.place_name());
                }
                words
            }
            5 | 6 => {
                let names: Vec<String> = (0..self.below(4)).map(|_| self.place_name()).collect();
                [vec![self.of(&["geopos", "geohash"]).to_owned(), key], names].concat()
            }
            7 => {
                let mut words = vec!["geodist".to_owned(), key, self.place_name(), self.place_name()];
                if self.below(2) == 0 {
                    words.push(self.of_unit());
                }
                words
            }
            8..=12 => {
                let (centre, shape) = (self.centre(), self.shape());
                let parts = if self.below(2) == 0 { [shape, centre] } else { [centre, shape] };
                [vec!["geosearch".to_owned(), key], parts.concat(), self.search_options(of_places)].concat()
            }
            13 | 14 => {
                let (centre, shape, mut options) = (self.centre(), self.shape(), self.search_options(of_places));
                let with = options.iter().position(|word| word.to_lowercase().starts_with("with"));
                if let Some(with) = with.filter(|_| self.below(8) != 0) {
                    options.truncate(with);
                }
                let distances = self.below(3) == 0;
                options.extend(distances.then(|| "STOREDIST".to_owned()));
                let to = self.store_into(of_places && !distances);
                [vec!["geosearchstore".to_owned(), to, key], centre, shape, options].concat()
            }
            15..=17 => {
                let name = self.of(&["georadius", "georadius_ro"]).to_owned();
                let start = [vec![name, key], self.place().into(), self.length().into()].concat();
                [start, self.search_options(of_places), self.store_options(of_places)].concat()
            }
            _ => {
                let name = self.of(&["georadiusbymember", "georadiusbymember_ro"]).to_owned();
                let start = [vec![name, key, self.place_name()], self.length().into()].concat();
                [start, self.search_options(of_places), self.store_options(of_places)].concat()
            }
        }
    }

    /// Distances are no places: several may be at one.
    fn store_into(&mut self, places: bool) -> String {
        if places { self.places() } else { self.key_of("zset") }
    }

    fn store_options(&mut self, of_places: bool) -> Vec<String> {
        match self.below(12) {
            0 => ["STORE", "store", "storedist"].map(|word| word.to_owned()).into(),
            1 => vec!["STORE".to_owned(), self.store_into(of_places), "storedist".to_owned(), self.store_into(false)],
            2 => vec!["storedist".to_owned(), self.store_into(false)],
            3 | 4 => vec!["store".to_owned(), self.store_into(of_places)],
            _ => Vec::new(),
        }
    }
}
